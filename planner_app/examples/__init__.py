"""The bundled examples: scripted model replies, recorded pages, real everything else."""
