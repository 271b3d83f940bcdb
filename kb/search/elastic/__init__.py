"""The Elasticsearch engine: BM25F over the record, in generations that are rebuilt beside the one that answers."""
