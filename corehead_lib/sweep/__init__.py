"""`corehead sweep`: runs of notebooks over models, datasets and parameters, started by Snakemake and collected in one table."""
