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

"""The rules of ament_flake8."""

from pathlib import Path

import pytest


@pytest.mark.flake8
@pytest.mark.linter
def test_flake8() -> None:
    check = pytest.importorskip("ament_flake8.main").main_with_errors
    code, errors = check(argv=["--config", str(Path(__file__).with_name("flake8.ini"))])
    assert code == 0, "\n".join(errors)
