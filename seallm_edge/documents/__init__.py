"""Users' documents for chat messages: text in any usual encoding, HTML, PDF, DOCX and ODT, read, cut and fenced."""
