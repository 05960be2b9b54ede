"""Keep the scene prior up to date in the background."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import Any

from fusion_core.priors.change import ChangeDetector
from fusion_core.priors.provider import PriorProvider, assess_pair
from fusion_core.priors.settings import PriorsConfig
from fusion_core.runtime.closable import Closable
from fusion_core.runtime.latest_slot import LatestSlot
from fusion_core.runtime.process import BackgroundThread, yield_to_others
from fusion_core.types import AlignedPair, ScenePrior

_log = logging.getLogger(__name__)
_JOIN_S = 2.0
_CHANGE = 0.1  # share of its range that a histogram moves when the scene has changed
_CONFIRM_FRAMES = 5
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Job:
    """One pair to assess, its scene, and the newest refresh request that it serves."""

    pair: AlignedPair
    scene: int
    request: int


class PriorScheduler(Closable):
    """Decide when a provider assesses a pair, run it in its own thread, and hold the result.

    A prior is requested at the start, when the scene has changed, when the last request is
    ``refresh_s`` old (by capture stamps), and by :meth:`request`. The provider takes the newest
    pair when it is free; a waiting pair is displaced by a newer one. A finished prior replaces the
    one in force as a whole. When the provider raises or exceeds its time limit, the last prior
    stays in force and :meth:`health` reports it.

    Args:
        provider: Assesses the pairs.
        config: When.
        confirm_frames: Frames in a row that must show a scene change.
    """

    def __init__(
        self,
        provider: PriorProvider,
        config: PriorsConfig,
        *,
        confirm_frames: int = _CONFIRM_FRAMES,
    ) -> None:
        self._provider = provider
        self._config = config
        self._detector = ChangeDetector(_CHANGE, confirm_frames)
        self._slot: LatestSlot[_Job] = LatestSlot()
        self._changed = threading.Condition()
        self._scene = 0
        self._scene_began_ns = 0
        self._requested_ns: int | None = None
        self._stamp_ns = 0
        self._requests = self._taken = self._served = 0
        self._busy_since: float | None = None
        self._prior: ScenePrior | None = None
        self._failure = ""
        self._refreshes = self._failures = 0
        self._last_ms = 0.0
        self._yielding = False
        self._worker = BackgroundThread(self._work, "prior")
        self._worker.start()

    @property
    def provider(self) -> PriorProvider:
        """What assesses the pairs."""
        return self._provider

    def update(self, pair: AlignedPair, *, wait: bool) -> ScenePrior | None:
        """Take the next pair and return the prior in force, None before the first.

        Args:
            pair: The newest pair.
            wait: For a recording: when a refresh is due wait for it, at most ``timeout_s``, so
                that every run gives the same. Otherwise this returns at once.
        """
        changed = self._detector.observe(pair)
        self._stamp_ns = pair.stamp_ns
        if changed:
            self._scene += 1
            self._scene_began_ns = pair.stamp_ns
        with self._changed:
            if changed or self._is_due(pair.stamp_ns):
                self._requested_ns = pair.stamp_ns
                self._requests += 1
            request = self._requests if self._taken < self._requests else None
        self._yielding = not wait
        if request is not None:
            self._slot.publish_latest(_Job(pair, self._scene, request))
            if wait:
                self._await(request)
        return self._prior

    def request(self) -> None:
        """Request a refresh with the next pair; callable from any thread."""
        with self._changed:
            self._requests += 1

    def health(self) -> tuple[str, ...]:
        """Return the conditions: ``prior_failed, _timeout, _stale, _disputed``."""
        found = ["prior_failed"] if self._failure else []
        if self._timed_out():
            found.append("prior_timeout")
        prior = self._prior
        if prior is not None and self._is_stale(prior):
            found.append("prior_stale")
        if prior is not None and prior.disputed:
            found.append("prior_disputed")
        return tuple(found)

    def status(self) -> dict[str, Any]:
        """Return counters and the newest prior as plain values; callable from any thread."""
        prior = self._prior
        problem = self._failure
        if self._timed_out():
            limit = self._config.timeout_s
            problem = f"{self._provider.name}: no result for more than {limit:g} s"
        return {
            "provider": self._provider.name,
            "scene": self._scene,
            "refreshes": self._refreshes,
            "failures": self._failures,
            "refresh_ms": round(self._last_ms, 1),
            "distance": round(self._detector.distance, 4),
            "prior_scene": None if prior is None else prior.scene_id,
            "age_s": None if prior is None else (self._stamp_ns - prior.stamp_ns) / 1e9,
            "quality": None if prior is None else prior.quality,
            "disputed": "" if prior is None else ", ".join(prior.disputed),
            "visible": {} if prior is None else dict(prior.visible),
            "thermal": {} if prior is None else dict(prior.thermal),
            "problem": problem,
        }

    def close(self) -> None:
        """Stop the thread; one that the provider blocks for long is abandoned."""
        self._slot.close()
        if isinstance(self._provider, Closable):
            self._provider.close()
        self._worker.join(_JOIN_S)

    def _is_due(self, stamp_ns: int) -> bool:
        """Return whether the prior is due by age; after a clock was set back it is, too."""
        if self._requested_ns is None or stamp_ns < self._requested_ns:
            return True
        limit_ns = self._config.refresh_s * _SECOND_NS
        return limit_ns > 0 and stamp_ns - self._requested_ns >= limit_ns

    def _is_stale(self, prior: ScenePrior) -> bool:
        """Return whether the prior in force is of a scene that ended a second ago, or too old."""
        if prior.scene_id != self._scene:
            return self._stamp_ns - self._scene_began_ns > _SECOND_NS
        limit_ns = (2 * self._config.refresh_s + 1) * _SECOND_NS
        return self._config.refresh_s > 0 and self._stamp_ns - prior.stamp_ns > limit_ns

    def _timed_out(self) -> bool:
        since = self._busy_since
        return since is not None and time.monotonic() - since > self._config.timeout_s

    def _await(self, request: int) -> None:
        """Wait until a request is served, unless the provider has exceeded its limit already."""
        if self._timed_out():
            return
        with self._changed:
            self._changed.wait_for(lambda: self._served >= request, self._config.timeout_s)

    def _work(self) -> None:
        while (job := self._slot.take_latest()) is not None:
            with self._changed:
                self._taken = max(self._taken, job.request)
            if self._yielding:
                yield_to_others()
            self._busy_since = start = time.monotonic()
            try:
                self._prior = self._assess(job)
                self._failure = ""
                self._refreshes += 1
            except Exception as error:  # noqa: BLE001 - frames go on with the last prior
                self._fail(error)
            finally:
                self._busy_since = None
                self._last_ms = (time.monotonic() - start) * 1e3
                with self._changed:
                    self._served = max(self._served, job.request)
                    self._changed.notify_all()

    def _assess(self, job: _Job) -> ScenePrior:
        return assess_pair(self._provider, job.pair, job.scene)

    def _fail(self, error: Exception) -> None:
        failure = f"{self._provider.name}: {type(error).__name__}: {error}"
        if failure != self._failure:
            _log.warning("scene prior not refreshed, the last one stays in force: %s", failure)
        self._failure = failure
        self._failures += 1
