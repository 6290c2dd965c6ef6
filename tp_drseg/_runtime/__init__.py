"""What the machine and the system need from us: devices, memory, files, optional packages."""
