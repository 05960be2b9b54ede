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

"""A lifecycle node that refuses transitions which do not fit its state and goes on."""

from __future__ import annotations

from lifecycle_msgs.srv import ChangeState
from rclpy.lifecycle import LifecycleNode


class RefusingLifecycleNode(LifecycleNode):
    """Answer every request for a transition.

    rclpy lets the error of its state machine out of the service, which ends the executor, and
    with it the node.
    """

    def _LifecycleNodeMixin__on_change_state(  # noqa: N802 - takes the place of rclpy's own
        self, request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        try:
            answer: ChangeState.Response = super()._LifecycleNodeMixin__on_change_state(
                request, response
            )
        except Exception as error:  # noqa: BLE001 - the error's class is private to rclpy
            wanted = request.transition.label or f"number {request.transition.id}"
            self.get_logger().warning(
                f"transition {wanted} refused: it does not fit the node's state ({error});"
                " 'ros2 lifecycle list' shows those that do"
            )
            response.success = False
            return response
        return answer
