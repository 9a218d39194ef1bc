"""Images, sound and music as code tokens in the id space of a text tokenizer."""
