"""`lenta experiment`: plan, start, watch and end experiments, through the gateway's API."""
