"""The errors of the package. Each is also the built-in error that it is a case of."""


class Error(Exception):
    """Every error of this package. The message names the argument, the numbers and what to try."""


class WrongUse(Error, ValueError):
    """The arguments do not fit the model, each other, or an earlier call."""


class FileError(Error, OSError):
    """The system does not open, read or write a file."""


class FileMissing(FileError, FileNotFoundError):
    """There is no such file."""


class BadFile(Error, ValueError):
    """The file is damaged, contradicts itself, or does not match the options."""


class Unsupported(Error, NotImplementedError):
    """Valid, but this version or device does not support it."""


class Limit(Error, MemoryError):
    """More than the device allows. Use less at once."""


class DeviceError(Error, RuntimeError):
    """No device matches, the driver refused something, or the device is lost or closed."""


class NoDevice(DeviceError):
    """No device matches the selector."""


class LostDevice(DeviceError):
    """The device was taken away or closed: open it again, and load the model on it."""


class InternalError(Error, RuntimeError):
    """A fault of this package. Please report it."""


class PickleError(Error, TypeError):
    """An object of a device is not sent to another process; what made it is."""


for _error in list(globals().values()):
    if isinstance(_error, type) and issubclass(_error, Error):
        _error.__module__ = "wgru"
del _error
