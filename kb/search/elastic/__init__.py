"""The Elasticsearch engine: BM25F over the record, in generations of the index that are rebuilt while one answers."""
