"""The converter's commands."""
