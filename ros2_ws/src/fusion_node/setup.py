# Copyright 2026 The fusion-core maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Install the node: `colcon build` reads this."""

from pathlib import Path

from setuptools import setup

NAME = "fusion_node"


def files(folder: str) -> list[str]:
    """Return the files of one folder of the package, relative to it."""
    return sorted(str(path) for path in Path(folder).iterdir() if path.is_file())


setup(
    name=NAME,
    version="0.1.0",
    description="Fuse a thermal and a colour camera into one live stream.",
    license="Apache-2.0",
    maintainer="fusion-core maintainers",
    maintainer_email="maintainers@fusion-core.invalid",
    packages=[NAME],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", files("launch")),
        (f"share/{NAME}/config", files("config")),
    ],
    # fusion-core is installed beside it with pip; see docs/guide/ros.md.
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},
    zip_safe=True,
    entry_points={
        "console_scripts": [
            "fusion_node = fusion_node.main:program",
            "camera_publisher = fusion_node.camera_publisher:program",
            "recorder = fusion_node.recorder:program",
            "health_check = fusion_node.health_check:main",
        ]
    },
)
