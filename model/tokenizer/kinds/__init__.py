"""The kinds of vocabularies: each trains a `tokenizers.Tokenizer` that spells every byte."""
