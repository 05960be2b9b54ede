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

"""The lifecycle node: camera topics in, fused topics out."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.subscription import Subscription
from std_srvs.srv import SetBool, Trigger

from fusion_core.errors import ConfigError, FusionError, UsageError
from fusion_core.pipeline import Pipeline
from fusion_core.registration import transform_depth
from fusion_core.transport.result_header import result_header
from fusion_core.transport.transforms import TF_STATIC
from fusion_core.types import FusedFrame
from fusion_core.view import open_page
from fusion_core.view.settings import ViewConfig
from fusion_node.diagnostics import NodeStatus, statuses
from fusion_node.image_subscriptions import TRANSPORTS, ImageSubscriptions, message_class
from fusion_node.lifecycle import RefusingLifecycleNode
from fusion_node.memory_file import name_memory_file
from fusion_node.page_controls import PageControls
from fusion_node.parameters import CoreParameters, declare
from fusion_node.result_grid import ResultGrid
from fusion_node.result_publishers import ResultPublishers
from fusion_node.settings import Setting
from fusion_node.static_transform import STATIC_TRANSFORMS, transform_message_class
from fusion_node.viewer import NodeViewer, check_viewer

if TYPE_CHECKING:
    from fusion_core.view.server import PageServer

_SUCCESS, _FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
_OWN = (
    Setting(
        "autostart",
        True,
        ParameterDescriptor(
            description="Configure and activate without a lifecycle manager.", read_only=True
        ),
    ),
    Setting(
        "image_transport",
        "raw",
        ParameterDescriptor(
            description="How camera images arrive; all but raw: on <topic>/<transport>."
            " Takes effect when the node is activated.",
            additional_constraints="one of: " + ", ".join(TRANSPORTS),
        ),
    ),
    Setting(
        "frame_id",
        "",
        ParameterDescriptor(
            description="Frame of the outputs; empty: that of the source image."
            " Takes effect when the node is configured."
        ),
    ),
    Setting(
        "viewer",
        "",
        ParameterDescriptor(
            description="Where a viewer shows the results: foxglove://HOST:PORT serves Foxglove,"
            " rerun://HOST:PORT sends to a running Rerun; empty: none."
            " Takes effect when the node is configured."
        ),
    ),
)


class FusionNode(RefusingLifecycleNode):
    """Fuse `rgb/image_raw` and `thermal/image_raw` into `~/image` and its companions."""

    def __init__(self) -> None:
        super().__init__("fusion", automatically_declare_parameters_from_overrides=True)
        for setting in _OWN:
            declare(self, setting)
        self._core = CoreParameters(self, [setting.name for setting in _OWN])
        self.add_on_set_parameters_callback(self._check_own)
        self._pipeline: Pipeline | None = None
        self._page: PageServer | None = None
        self._result_publishers: ResultPublishers | None = None
        self._image_subscriptions: ImageSubscriptions | None = None
        self._static_transforms: Subscription | None = None
        self._viewer = NodeViewer()
        self._enabled = True
        self._problem = ""
        self._grid = ResultGrid()
        self._deviation = ""
        self._mismatches: dict[str, str] = {}
        self._reported: Counter[str] = Counter()
        self._reported_at = time.monotonic()
        self.create_service(SetBool, "~/enable", self._on_enable)
        self.create_service(Trigger, "~/refresh_prior", self._on_refresh_prior)
        self.create_service(Trigger, "~/save_memory", self._on_save_memory)
        self.create_service(Trigger, "~/reset_memory", self._on_reset_memory)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # On the steady clock: diagnostics go on while simulated time stands still.
        self.create_timer(1.0, self._report, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def autostart(self) -> bool:
        """Whether the node brings itself up."""
        return bool(self.get_parameter("autostart").value)

    def bring_up(self) -> None:
        """Configure and activate; a failure leaves the node unconfigured, ready for a new try."""
        if self.trigger_configure() == _SUCCESS:
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and the memory bank, warm up, and announce the outputs."""
        self._core.declare_options()
        try:
            message_class(self.get_parameter("image_transport").value)
            config = name_memory_file(self._core.config(), self.get_fully_qualified_name())
            if transform_depth(config.calibration):
                transform_message_class()
            pipeline = Pipeline(config, reset_invalid_memory=True, server_required=False)
            pipeline.warm_up()
            self._viewer = NodeViewer(str(self.get_parameter("viewer").value))
        except Exception as error:  # noqa: BLE001 - rclpy would drop it silently
            known = isinstance(error, FusionError)
            self._problem = str(error) if known else f"{type(error).__name__}: {error}"
            self.get_logger().error(f"cannot be configured: {self._problem}")
            return _FAILURE
        self._problem = ""
        self._core.attach(pipeline.change)
        self._frame_id = str(self.get_parameter("frame_id").value)
        self._grid, self._deviation = ResultGrid(), ""
        self._pipeline = pipeline
        self._page = self._open_page(config.view, pipeline)
        self._result_publishers = ResultPublishers(self, self._on_mismatch)
        pipeline.start(self._on_fused)
        status = pipeline.status()
        self.get_logger().info(f"configured: {status.model} on {status.device}")
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the cameras."""
        if self._pipeline is None:
            return _FAILURE
        transport = str(self.get_parameter("image_transport").value)
        self._reported.clear()
        self._image_subscriptions = ImageSubscriptions(
            self,
            transport,
            self._pipeline,
            self._results_needed,
            self._on_mismatch,
            bracketed=self._pipeline.config.source.bracket > 1,
        )
        self._static_transforms = self._listen_to_transforms(self._pipeline)
        self.get_logger().info("subscribed to " + ", ".join(self._image_subscriptions.topics))
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the subscriptions; model and memory stay loaded."""
        self._unsubscribe()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Save the memory bank and free the model."""
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Save the memory bank and free everything."""
        self._release()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything after a failed transition, ready to be configured again."""
        self._problem = f"transition from {state.label} failed"
        self.get_logger().error(f"{self._problem}; the node is unconfigured")
        self._release()
        return super().on_error(state)

    def destroy_node(self) -> None:
        """Save the memory bank and destroy the node; callable in any state."""
        self._release()
        super().destroy_node()

    def _listen_to_transforms(self, pipeline: Pipeline) -> Subscription | None:
        """Subscribe to `/tf_static` where the calibration comes from it."""
        if not transform_depth(pipeline.config.calibration):
            return None
        return self.create_subscription(
            transform_message_class(), TF_STATIC, pipeline.add_transforms, STATIC_TRANSFORMS
        )

    def _unsubscribe(self) -> None:
        transforms, self._static_transforms = self._static_transforms, None
        if transforms is not None:
            self.destroy_subscription(transforms)
        subscriptions, self._image_subscriptions = self._image_subscriptions, None
        if subscriptions is not None:
            subscriptions.destroy()

    def _release(self) -> None:
        self._unsubscribe()
        self._core.attach(None)
        page, self._page = self._page, None
        if page is not None:
            page.close()
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            try:
                pipeline.close()
            except FusionError as error:
                self.get_logger().error(str(error))
        self._viewer.close()
        publishers, self._result_publishers = self._result_publishers, None
        if publishers is not None:
            publishers.destroy()

    def _results_needed(self) -> bool:
        """Return whether results are wanted; where nobody wants detections, none are made."""
        publishers, pipeline = self._result_publishers, self._pipeline
        if publishers is None or pipeline is None or not self._enabled:
            return False
        watched = self._is_watched()
        pipeline.enable_detection(watched or publishers.detections_have_subscribers())
        return watched or publishers.have_subscribers() or pipeline.raises_alarms

    def _is_watched(self) -> bool:
        page = self._page is not None and self._page.watched
        return page or self._viewer.watched

    def _open_page(self, config: ViewConfig, pipeline: Pipeline) -> PageServer | None:
        """Serve the operator's page, where it is wanted; the node works without it."""
        if not config.serve:
            return None
        try:
            page = open_page(config, PageControls(self, pipeline))
        except FusionError as error:
            self.get_logger().error(str(error))
            return None
        self.get_logger().info(f"operator's page: {page.url}")
        return page

    def _on_fused(self, fused: FusedFrame) -> None:
        """Publish one result; runs in the pipeline's own thread."""
        publishers = self._result_publishers
        if self._image_subscriptions is None or publishers is None or not self._enabled:
            return
        if self._page is not None:
            self._page.show(fused)
        deviation = self._grid.deviation(fused)
        if deviation and not self._deviation:
            self.get_logger().warning(deviation)
        self._deviation = deviation
        if deviation and self._grid.visible_size is not None:
            return
        self._viewer.show(fused)
        try:
            publishers.publish(fused, result_header(fused, self._frame_id))
        except Exception:
            # A shutdown invalidates the publishers before the pipeline has stopped.
            if self.context.ok():
                raise

    def _on_mismatch(self, topic: str, explanation: str) -> None:
        self._mismatches[topic] = explanation
        self.get_logger().warning(explanation)

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._enabled = request.data
        response.success = True
        response.message = "fusing" if request.data else "paused"
        return response

    def _on_refresh_prior(
        self, _request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        if self._pipeline is None:
            response.message = "not configured"
            return response
        try:
            self._pipeline.refresh_prior()
            response.message = "the next pair is assessed"
            response.success = True
        except FusionError as error:
            response.message = str(error)
        return response

    def _on_save_memory(
        self, _request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        if self._pipeline is None:
            response.message = "not configured"
            return response
        try:
            response.message = f"saved to {self._pipeline.save_memory()}"
            response.success = True
        except FusionError as error:
            response.message = str(error)
        return response

    def _on_reset_memory(
        self, _request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        if self._pipeline is None:
            response.message = "not configured"
            return response
        self._pipeline.reset_memory()
        response.success = True
        response.message = "the memory bank is as trained again"
        return response

    def _report(self) -> None:
        """Publish diagnostics."""
        now = time.monotonic()
        elapsed, self._reported_at = max(now - self._reported_at, 1e-9), now
        received = (
            Counter(self._image_subscriptions.received) if self._image_subscriptions else Counter()
        )
        rates = {name: (count - self._reported[name]) / elapsed for name, count in received.items()}
        self._reported = received
        status = NodeStatus(
            state=self._state_label(),
            problem=self._problem,
            deviation=self._deviation,
            enabled=self._enabled,
            has_subscribers=self._is_watched()
            or (self._result_publishers is not None and self._result_publishers.have_subscribers()),
            not_shown=dict(self._viewer.not_shown),
            received_hz=rates,
            received=received,
            mismatches=dict(self._mismatches),
            camera_info=self._image_subscriptions.camera_states()
            if self._image_subscriptions
            else {},
            stamp_problems=self._image_subscriptions.stamp_problems()
            if self._image_subscriptions
            else [],
        )
        pipeline = self._pipeline.status() if self._pipeline else None
        name = self.get_fully_qualified_name()
        message = DiagnosticArray(status=statuses(name, status, pipeline))
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def _check_own(self, parameters: list[Parameter]) -> SetParametersResult:
        """Refuse a wrong value, and one that the node would not look at any more."""
        values = {entry.name: entry.value for entry in parameters}
        reason = ""
        if "frame_id" in values and self._pipeline is not None:
            reason = "frame_id is read when the node is configured: deactivate and clean up first"
        if "viewer" in values:
            try:
                check_viewer(values["viewer"])
            except UsageError as error:
                reason = str(error)
            if self._pipeline is not None:
                reason = "viewer is read when the node is configured: deactivate and clean up first"
        if "image_transport" in values:
            try:
                message_class(values["image_transport"])
            except ConfigError as error:
                reason = str(error)
            if self._image_subscriptions is not None:
                reason = "image_transport is read when the node is activated: deactivate first"
        return SetParametersResult(successful=not reason, reason=reason)

    def _state_label(self) -> str:
        if self._pipeline is None:
            return "unconfigured"
        return "inactive" if self._image_subscriptions is None else "active"
