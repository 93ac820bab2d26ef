"""Runs before a frozen app: where the app was started by itself to try native code, that is done instead of the app."""

from seallm_edge.native import child

child.serve_frozen_app()
