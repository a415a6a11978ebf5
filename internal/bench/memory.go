package bench

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// A MemoryError says that the memory of a process cannot be read.
type MemoryError struct {
	PID int
	Err error // [errors.ErrUnsupported] on systems other than Linux, [os.ErrNotExist] when there is no such process
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("bench: the memory of process %d: %v", e.PID, e.Err)
}

func (e *MemoryError) Unwrap() error { return e.Err }

// memory returns how many bytes of a process are resident.
func memory(pid int) (int64, error) {
	if runtime.GOOS != "linux" {
		return 0, &MemoryError{pid, errors.ErrUnsupported}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, &MemoryError{pid, err}
	}
	n, err := resident(string(status))
	if err != nil {
		return 0, &MemoryError{pid, err}
	}
	return n, nil
}

// resident reads the line "VmRSS: 1234 kB" of a process's status.
func resident(status string) (int64, error) {
	for line := range strings.Lines(status) {
		value, ok := strings.CutPrefix(line, "VmRSS:")
		if !ok {
			continue
		}
		kilobytes, _ := strings.CutSuffix(strings.TrimSpace(value), " kB")
		n, err := strconv.ParseInt(strings.TrimSpace(kilobytes), 10, 64)
		return n << 10, err
	}
	return 0, errors.New("it has none") // a zombie, or a thread of the kernel
}
