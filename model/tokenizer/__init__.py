"""Text to ids and back: byte-level BPE by Hugging Face `tokenizers`, lossless on any text."""
