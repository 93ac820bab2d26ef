"""Whether what was written is what it should be, before it gets its name and any time later."""
