"""The native floor: the only importer of llama_cpp. What fails there leaves here as an EngineError."""
