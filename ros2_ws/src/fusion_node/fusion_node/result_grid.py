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

"""Watch over the pixel grid of the results: that of the colour camera."""

from __future__ import annotations

from fusion_core.types import FusedFrame


class ResultGrid:
    """Find results that lie on other pixels than the colour camera's.

    Only results without a visible image can: those made of the thermal image alone, without a rig
    that maps it onto the colour camera's pixels.
    """

    def __init__(self) -> None:
        self.visible_size: tuple[int, int] | None = None
        """Width and height of the visible images, None before the first."""

    def deviation(self, fused: FusedFrame) -> str:
        """Return how a result deviates from the colour camera's grid, empty when it does not."""
        height, width = fused.image.shape[:2]
        if fused.pair.visible is not None:
            self.visible_size = width, height
            return ""
        shown = f"no usable visible image: the result is the thermal image of {width}x{height}"
        remedy = "repair the visible stream, or set 'calibration' or sync.on_missing_visible"
        if self.visible_size is None:
            known = fused.aligned.grid is not None
            return "" if known else f"{shown}, on the thermal camera's pixels; {remedy}"
        if self.visible_size == (width, height):
            return ""
        expected = f"{self.visible_size[0]}x{self.visible_size[1]}"
        return f"{shown}, the visible images are of {expected}: not published; {remedy}"
