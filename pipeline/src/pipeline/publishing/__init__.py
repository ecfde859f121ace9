"""How a trained model comes into service: compared with the one that serves, published, retrained."""
