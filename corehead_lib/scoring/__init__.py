"""RAM of a whole dataset, overnight: in shards, by one process or many, killed and resumed; and files of heads to exchange."""
