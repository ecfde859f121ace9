"""What services say to each other: wire models, record codecs, the feature definition, assignment."""
