package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"

	"crmflow.io/node/spec"
)

// process is the first process of a container, and with it all others: its PID namespace ends with it.
type process struct {
	command *exec.Cmd
	log     *containerLog
	ended   chan struct{}
	code    int32 // set when ended is closed
}

// start runs a container's program, and returns once it has taken over. Its process id is in the file "pid" of
// directory.
func start(containerInit, directory, logPath string, config *api.ContainerConfig, image Image) (*process, error) {
	root := filepath.Join(directory, "root")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	input, err := json.Marshal(specification(config, image, root))
	if err != nil {
		return nil, err
	}
	log, err := openLog(logPath)
	if err != nil {
		return nil, err
	}
	failures, failuresEnd, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer failures.Close()
	command := exec.Command(containerInit)
	command.Env = []string{}
	command.Stdin = bytes.NewReader(input)
	command.Stdout = log.stream("stdout")
	command.Stderr = log.stream("stderr")
	command.ExtraFiles = []*os.File{failuresEnd}
	command.SysProcAttr = attributes()
	err = onSpawner(command.Start)
	failuresEnd.Close()
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	p := &process{command: command, log: log, ended: make(chan struct{})}
	go p.await()
	failure, err := io.ReadAll(failures)
	if err != nil {
		return nil, err
	}
	if len(failure) > 0 {
		<-p.ended
		return nil, errors.New(string(failure))
	}
	return p, os.WriteFile(filepath.Join(directory, "pid"), []byte(strconv.Itoa(command.Process.Pid)), 0o600)
}

func specification(config *api.ContainerConfig, image Image, root string) spec.Container {
	command := slices.Concat(config.Command, config.Args)
	if len(config.Command) == 0 {
		command = slices.Concat(image.Entrypoint, config.Args)
	}
	environment := slices.Clone(image.Env)
	for _, variable := range config.Envs {
		environment = append(environment, fmt.Sprintf("%s=%s", variable.Key, variable.Value))
	}
	var mounts []spec.Mount
	for _, mount := range config.Mounts {
		mounts = append(mounts, spec.Mount{Source: mount.HostPath, Target: mount.ContainerPath, ReadOnly: mount.Readonly})
	}
	return spec.Container{
		Root:         root,
		Mounts:       mounts,
		Keep:         image.Folders,
		ReadOnlyRoot: config.GetLinux().GetSecurityContext().GetReadonlyRootfs(),
		WorkingDir:   cmp.Or(config.WorkingDir, image.WorkingDir, "/"),
		Command:      command,
		Environment:  environment,
	}
}

// attributes give the process namespaces of its own, and let it die with the node. Without root's rights a
// user namespace lends them.
func attributes() *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
		Setsid:     true,
	}
	if os.Geteuid() != 0 {
		attributes.Cloneflags |= syscall.CLONE_NEWUSER
		attributes.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		attributes.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	return attributes
}

var spawner = func() chan func() {
	calls := make(chan func())
	go func() {
		goruntime.LockOSThread()
		for call := range calls {
			call()
		}
	}()
	return calls
}()

// onSpawner calls something on a thread that lives as long as the node: Pdeathsig tells of the end of the
// thread that started the process.
func onSpawner(call func() error) error {
	result := make(chan error)
	spawner <- func() { result <- call() }
	return <-result
}

func (p *process) await() {
	_ = p.command.Wait() // the state says more
	p.log.Close()
	status := p.command.ProcessState.Sys().(syscall.WaitStatus)
	p.code = int32(status.ExitStatus())
	if status.Signaled() {
		p.code = signaled + int32(status.Signal())
	}
	close(p.ended)
}

// signaled is what shells and container runtimes add to the number of the signal that ended a process.
const signaled = 128

// stop sends SIGTERM, and SIGKILL after the grace. It returns when the process is gone.
func (p *process) stop(grace time.Duration) error {
	if err := p.send(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(grace):
	}
	if err := p.send(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.ended
	return nil
}

func (p *process) send(signal os.Signal) error {
	if err := p.command.Process.Signal(signal); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}
