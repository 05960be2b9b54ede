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

"""Tell a container engine whether the node works: exit code 0, or 1 and why in one line."""

from __future__ import annotations

import sys
import time

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

# The node reports once a second; discovery takes most of the rest.
PATIENCE_S = 8.0
# Cameras that are missing are no fault of the container.
CONCERNS = ("node", "model")


def problem_of(reports: list[DiagnosticArray]) -> str:
    """Return what is wrong by the last report of any fusion node; empty when nothing is."""
    for report in reversed(reports):
        found = {
            concern: status
            for status in report.status
            for concern in CONCERNS
            if status.name == f"{status.hardware_id}: {concern}"
        }
        if "node" in found:
            wrong = (s for s in found.values() if s.level >= DiagnosticStatus.ERROR)
            return next((f"{status.name}: {status.message}" for status in wrong), "")
    return f"no report of a fusion node on /diagnostics within {PATIENCE_S:.0f} s"


def main() -> int:
    """Wait for one report and judge it."""
    reports: list[DiagnosticArray] = []
    rclpy.init()
    node = rclpy.create_node("fusion_health_check")
    node.create_subscription(DiagnosticArray, "/diagnostics", reports.append, 10)
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and (not reports or problem_of(reports)):
        rclpy.spin_once(node, timeout_sec=0.2)
    problem = problem_of(reports)
    node.destroy_node()
    rclpy.shutdown()
    if problem:
        sys.stderr.write(f"{problem}\n")
    return int(bool(problem))


if __name__ == "__main__":
    sys.exit(main())
