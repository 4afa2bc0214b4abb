"""What the package costs: measurements that the README quotes."""
