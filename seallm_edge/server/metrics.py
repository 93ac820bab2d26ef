"""Metrics in Prometheus' text format, by llama.cpp's names where they mean the same."""

from __future__ import annotations

from .replying import Service


def metrics_text(service: Service) -> str:
    """All metrics: name, kind, what it counts, and its value."""
    counts = service.counts
    stats = [model.llm.stats() for model in service.pool.loaded()]
    cells, used = sum(one.cells for one in stats), sum(one.cells_used for one in stats)
    rows = (
        ("prompt_tokens_total", "counter", "Number of prompt tokens processed.", counts.prompt_tokens),
        ("prompt_seconds_total", "counter", "Prompt process time", counts.prefill_seconds),
        ("tokens_predicted_total", "counter", "Number of generation tokens processed.", counts.reply_tokens),
        ("tokens_predicted_seconds_total", "counter", "Predict process time", counts.decode_seconds),
        ("prompt_tokens_seconds", "gauge", "Average prompt throughput in tokens/s.",
         counts.prompt_tokens / max(counts.prefill_seconds, 1e-9)),
        ("predicted_tokens_seconds", "gauge", "Average generation throughput in tokens/s.",
         counts.reply_tokens / max(counts.decode_seconds, 1e-9)),
        ("kv_cache_usage_ratio", "gauge", "KV-cache usage. 1 means 100 percent usage.", used / max(cells, 1)),
        ("kv_cache_tokens", "gauge", "KV-cache tokens.", used),
        ("requests_processing", "gauge", "Number of requests processing.", sum(one.running for one in stats)),
        ("requests_deferred", "gauge", "Number of requests deferred.", sum(one.waiting for one in stats)),
    )  # fmt: skip
    return "".join(
        f"# HELP llamacpp:{name} {text}\n# TYPE llamacpp:{name} {kind}\nllamacpp:{name} {value:g}\n"
        for name, kind, text, value in rows
    )
