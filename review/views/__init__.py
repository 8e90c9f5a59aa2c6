"""The pages of one job: its record, and the reviews of stages 2, 3 and 4."""
