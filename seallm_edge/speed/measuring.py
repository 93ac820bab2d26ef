"""`measure_speed`: a model loaded as the program loads it, and measured in this process: prefill, decode, the 12
languages, memory and its bandwidth.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..engine import Engine
from ..errors import EngineError
from ..hints import Hint, Option
from ..loading import LoadTarget, load_engine, resolve
from ..machine import this_machine
from ..machine.bandwidth import BandwidthMeter, array_bytes
from ..machine.contention import ContentionMeter
from ..machine.resident import page_faults, peak_bytes
from ..native.backends import load_backends
from ..plan import LoadOptions
from ..text.languages import LANGUAGES
from ..tuning import saved_settings
from .engine_bench import EngineBench, RequestSpeed
from .figures import Figure
from .limit import Circumstances
from .report import LanguageSpeed, SpeedReport
from .schedule import BANDWIDTH_SECONDS, LANGUAGE_ROUNDS, LANGUAGE_SHARE, MAX_ROUNDS, MIN_ROUNDS, Schedule
from .weights import bytes_per_token

CONTEXT = 1_024  # tokens: room for the longest prompt and reply
OnStep = Callable[[str], None]
_CODES = tuple(language.code for language in LANGUAGES)
_WARM_PROMPT, _WARM_REPLY = 32, 8


def measure_speed(
    model: str | Path,
    options: LoadOptions,
    *,
    seconds: float,
    check: Callable[[LoadTarget], None] = lambda _: None,
    on_load: Callable[[float], None] | None = None,
    on_step: OnStep = lambda _: None,
) -> SpeedReport:
    """Measure for about `seconds`. `check` gets the model before it is loaded, `on_step` what is measured, in words.

    `options` need a context of CONTEXT tokens and no prefix cache: see `bench_options`. Raises ModelNotFound,
    ModelFileError, NotEnoughMemory, InvalidOption or EngineError.
    """
    target = resolve(model, options)
    check(target)
    with closing(load_engine(target, options, on_load)) as engine:
        plan = engine.plan
        report = _Run(replace(target, plan=plan), engine, seconds, on_step).report()
        if engine.plan is not plan:
            hint = Hint("measure it without: {option}", option=Option("gpu_layers", 0))
            raise EngineError("the GPU failed while it was measured", hint)
    return report


def bench_options(**asked: Any) -> LoadOptions:
    """Loading options for `measure_speed`, with those that the user gave."""
    return LoadOptions(context=CONTEXT, prefix_cache=0, **asked)


class _Run:
    """One measurement: the languages first, so that the peak of memory is that of the model without the meter's."""

    def __init__(self, target: LoadTarget, engine: Engine, seconds: float, on_step: OnStep) -> None:
        self._target = target
        self._info = engine.info
        self._bench = EngineBench(engine)
        self._on_step = on_step
        self._started = time.monotonic()
        self._seconds = seconds
        self._n_tokens = 0

    def report(self) -> SpeedReport:
        """Measure everything."""
        schedule = self._warm_up()
        background, faults = ContentionMeter(), page_faults()
        languages = self._languages(schedule)
        memory = self._memory()
        requests, bandwidth = self._requests(schedule)
        decode = Figure.of([request.decode for request in requests])
        facts = self._circumstances(decode, bandwidth, background.share(), faults)
        return SpeedReport(
            model=self._model_facts(),
            machine=_machine_facts(),
            settings=self._settings_facts(),
            n_prompt=schedule.n_prompt,
            prefill=Figure.of([request.prefill for request in requests]),
            ttft=Figure.of([request.ttft_seconds for request in requests]),
            decode=decode,
            bandwidth=bandwidth,
            languages=languages,
            memory=memory,
            circumstances=facts,
        )

    def _warm_up(self) -> Schedule:
        self._on_step("warming up")
        for _ in range(2):  # pages come in, threads start, steps find their cost
            request = self._bench.request(_WARM_PROMPT, _WARM_REPLY)
        schedule = Schedule(self._seconds, request.prefill, request.decode, len(_CODES))
        self._bench.request(schedule.n_prompt, schedule.n_reply)
        if schedule.n_part:
            self._bench.drafting_gain(self._bench.part("my", 0, schedule.n_part))
        return schedule

    def _languages(self, schedule: Schedule) -> tuple[LanguageSpeed, ...]:
        gains: dict[str, list[float]] = {code: [] for code in _CODES}
        began, n, n_rounds = time.monotonic(), schedule.n_part, 0
        ends = self._started + self._seconds * LANGUAGE_SHARE
        while n and (n_rounds < LANGUAGE_ROUNDS or time.monotonic() + (time.monotonic() - began) / n_rounds < ends):
            for language in LANGUAGES:
                self._on_step(f"{language.name}, with drafting")
                gains[language.code].append(self._bench.drafting_gain(self._bench.part(language.code, n_rounds, n)))
                self._n_tokens += n
            n_rounds += 1
        return tuple(
            LanguageSpeed(code, self._bench.characters_per_token(code), Figure.of(found) if found else None)
            for code, found in gains.items()
        )

    def _requests(self, schedule: Schedule) -> tuple[list[RequestSpeed], Figure]:
        requests: list[RequestSpeed] = []
        speeds: list[float] = []
        with BandwidthMeter(self._target.plan.threads, array_bytes(this_machine().memory_available)) as meter:
            while len(requests) < MAX_ROUNDS and (len(requests) < MIN_ROUNDS or not self._is_over()):
                self._on_step("memory bandwidth")
                speeds.append(meter.measure(BANDWIDTH_SECONDS))
                self._on_step(f"a prompt of {schedule.n_prompt} tokens and a reply")
                requests.append(self._bench.request(schedule.n_prompt, schedule.n_reply))
                self._n_tokens += schedule.n_reply
        return requests, Figure.of(speeds)

    def _is_over(self) -> bool:
        return time.monotonic() - self._started > self._seconds

    def _circumstances(self, decode: Figure, bandwidth: Figure, background: float, faults: int | None) -> Circumstances:
        now = page_faults()
        return Circumstances(
            tokens_per_second=decode.median,
            bytes_per_token=bytes_per_token(self._target.header),
            bandwidth=bandwidth.median,
            threads=self._target.plan.threads,
            cores=this_machine().threads,
            is_tuned=saved_settings.find(self._target.fingerprint) is not None,
            gpu_layers=self._target.plan.gpu_layers,
            background=background,
            faults_per_token=None if now is None or faults is None else round((now - faults) / self._n_tokens, 3),
        )

    def _memory(self) -> dict[str, int]:
        return {
            "weights": self._target.plan.weights_bytes,
            "kv_per_1000_tokens": self._info.bytes_per_token * 1_000,
            "peak": peak_bytes(),
        }

    def _model_facts(self) -> dict[str, Any]:
        header = self._target.header
        names = {"name": self._target.name, "type": header.file_type_name}
        return {**names, "fingerprint": self._target.fingerprint, "file_bytes": header.file_size}

    def _settings_facts(self) -> dict[str, Any]:
        from .. import __version__

        plan, backends = self._target.plan, load_backends()
        return {
            "seallm_edge": __version__,
            "llama_cpp": backends.version,
            "variant": backends.variant,
            "threads": plan.threads,
            "n_batch": plan.n_batch,
            "repack": plan.repack,
            "gpu_layers": plan.gpu_layers,
        }


def _machine_facts() -> dict[str, Any]:
    machine = this_machine()
    return {
        "cpu": machine.cpu_name,
        "architecture": machine.architecture,
        "cores": machine.cores_usable,
        "memory_total": machine.memory_total,
        "os": machine.os,
        "python": ".".join(map(str, sys.version_info[:3])),
    }
