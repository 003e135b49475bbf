"""How GANs fail and what helps: each failure trained, its fixes trained alike, both measured."""
