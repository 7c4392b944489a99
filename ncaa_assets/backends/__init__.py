"""Where an archive lives: what stands behind the ports, on this machine or on AWS."""
