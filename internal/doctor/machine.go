package doctor

import (
	"os"
	"runtime"
	"time"
)

// This returns the machine that the program runs on.
func This() *Machine {
	m := &Machine{
		Files:    os.DirFS("/"),
		OS:       runtime.GOOS,
		CPUs:     runtime.GOMAXPROCS(0),
		Getenv:   os.Getenv,
		Now:      time.Now,
		Stat:     os.Stat,
		ReadFile: os.ReadFile,
	}
	m.system()
	return m
}
