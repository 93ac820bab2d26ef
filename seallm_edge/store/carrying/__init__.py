"""Carrying of models without a network: export to a stick with a runtime, import, models of other programs."""
