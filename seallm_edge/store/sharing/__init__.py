"""Sharing of installed models on a local network: a read-only server that speaks the protocol of a hub."""
