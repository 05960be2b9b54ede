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

"""Temperature alarms as messages: one status per alarm that is on."""

from __future__ import annotations

from collections.abc import Sequence

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from fusion_core.types import Alarm


def alarms_message(alarms: Sequence[Alarm], header: Header) -> DiagnosticArray:
    """Return the alarms that are on; an array without a status says that none is.

    Args:
        alarms: The alarms.
        header: Header of the source image.
    """
    return DiagnosticArray(header=header, status=[_status(alarm) for alarm in alarms])


def alarm_line(alarm: Alarm) -> str:
    """Return an alarm in words."""
    what = f"{alarm.label} {alarm.track_id}"
    return f"{what}: {alarm.temperature:.1f} C, {alarm.kind} {alarm.limit:.1f} C"


def _status(alarm: Alarm) -> DiagnosticStatus:
    values = {
        "kind": alarm.kind,
        "track_id": alarm.track_id,
        "label": alarm.label,
        "temperature": f"{alarm.temperature:.3f}",
        "limit": f"{alarm.limit:.3f}",
        "since_ns": alarm.since_ns,
    }
    return DiagnosticStatus(
        level=DiagnosticStatus.WARN,
        name=f"temperature {alarm.kind}: {alarm.label} {alarm.track_id}",
        message=alarm_line(alarm),
        hardware_id=str(alarm.track_id),
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )
