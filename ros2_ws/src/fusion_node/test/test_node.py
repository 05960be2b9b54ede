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

"""The tests of the node, which lie in the repository around the package."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[4]
TESTS = REPOSITORY / "tests" / "ros"


@pytest.mark.skipif(not TESTS.is_dir(), reason="the package was copied alone: no tests/ros")
def test_the_node_in_a_ros_graph() -> None:
    pytest.importorskip("pytest_timeout")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "pytest_timeout", "-q", str(TESTS)],
        cwd=REPOSITORY,
        # The plugins of a ROS installation do not fit every pytest.
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
