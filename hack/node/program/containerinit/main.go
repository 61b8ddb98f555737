// The first process of a container, in a mount and a PID namespace of its own: it puts the container's root
// together and becomes the program. It is a program of its own because it has to start in no time.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"crmflow.io/node/spec"
)

// Closed when the program has taken over; else what went wrong is written to it.
const failures = 3

// The main thread alone dies with the node (prctl(2), PR_SET_PDEATHSIG): it has to be the one that becomes the
// program.
func init() { runtime.LockOSThread() }

func main() {
	unix.CloseOnExec(failures)
	err := run()
	fmt.Fprint(os.NewFile(failures, "failures"), err)
	os.Exit(128)
}

// run returns only if the program can't be started.
func run() error {
	var container spec.Container
	if err := json.NewDecoder(os.Stdin).Decode(&container); err != nil {
		return fmt.Errorf("reading what to run: %w", err)
	}
	if err := enter(container); err != nil {
		return err
	}
	if err := silenceInput(); err != nil {
		return err
	}
	if err := os.Chdir(container.WorkingDir); err != nil {
		return err
	}
	for _, variable := range container.Environment {
		if path, found := strings.CutPrefix(variable, "PATH="); found {
			os.Setenv("PATH", path)
		}
	}
	program, err := exec.LookPath(container.Command[0])
	if err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", program, unix.Exec(program, container.Command, container.Environment))
}

// silenceInput gives the program the standard input of a container without one.
func silenceInput() error {
	null, err := unix.Open("/dev/null", unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	return unix.Dup2(null, 0)
}
