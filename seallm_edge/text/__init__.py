"""Text of the 12 languages: NFC and grapheme clusters, language detection, Zawgyi, sample sentences."""
