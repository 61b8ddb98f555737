package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	critest "k8s.io/cri-api/pkg/apis/testing"
)

// Runtime is a container runtime whose containers are processes. Its records of them, and of the pods' sandboxes,
// are those of Kubernetes' own fake runtime. A sandbox is no more than its record: all containers have the
// network of the machine.
type Runtime struct {
	*critest.FakeRuntimeService // its mutex guards all fields

	settings  Settings
	configs   map[string]*api.ContainerConfig
	processes map[string]*process
}

// NewRuntime makes a runtime without containers.
func NewRuntime(settings Settings) *Runtime {
	critest.FakeRuntimeName = "process"
	critest.FakePodSandboxIPs = []string{address}
	fake := critest.NewFakeRuntimeService()
	fake.FakeStatus = &api.RuntimeStatus{Conditions: []*api.RuntimeCondition{
		{Type: api.RuntimeReady, Status: true},
		{Type: api.NetworkReady, Status: true},
	}}
	return &Runtime{
		FakeRuntimeService: fake,
		settings:           settings,
		configs:            map[string]*api.ContainerConfig{},
		processes:          map[string]*process{},
	}
}

func (r *Runtime) CreateContainer(
	ctx context.Context, sandbox string, config *api.ContainerConfig, sandboxConfig *api.PodSandboxConfig,
) (string, error) {
	id, err := r.FakeRuntimeService.CreateContainer(ctx, sandbox, config, sandboxConfig)
	if err != nil {
		return "", err
	}
	r.Lock()
	defer r.Unlock()
	r.configs[id] = config
	r.Containers[id].Mounts = config.Mounts // by which the kubelet finds the termination message
	r.Containers[id].LogPath = filepath.Join(sandboxConfig.LogDirectory, config.LogPath)
	return id, nil
}

// StartContainer returns once the program runs. If it can't, the container has ended with 128, as in containerd.
func (r *Runtime) StartContainer(ctx context.Context, id string) error {
	r.Lock()
	config, container := r.configs[id], r.Containers[id]
	r.Unlock()
	if config == nil {
		return status.Errorf(codes.NotFound, "no container %s", id)
	}
	image, found := r.settings.image(config.Image.Image)
	if !found {
		return status.Errorf(codes.NotFound, "no image %s", config.Image.Image)
	}
	process, err := start(r.settings.ContainerInit, r.folder(id), container.LogPath, config, image)
	if err != nil {
		r.end(id, startFailed, "StartError", err.Error())
		return status.Errorf(codes.Unknown, "starting the program: %v", err)
	}
	if err := r.FakeRuntimeService.StartContainer(ctx, id); err != nil {
		return errors.Join(err, process.stop(0))
	}
	r.Lock()
	defer r.Unlock()
	r.processes[id] = process
	go r.awaitEnd(id, process)
	return nil
}

const startFailed = 128

func (r *Runtime) awaitEnd(id string, process *process) {
	<-process.ended
	reason := "Completed"
	if process.code != 0 {
		reason = "Error"
	}
	r.end(id, process.code, reason, "")
}

func (r *Runtime) end(id string, code int32, reason, message string) {
	r.Lock()
	defer r.Unlock()
	container, found := r.Containers[id]
	if !found {
		return
	}
	container.State = api.ContainerState_CONTAINER_EXITED
	container.FinishedAt = time.Now().UnixNano()
	container.ExitCode = code
	container.Reason = reason
	container.Message = message
}

// StopContainer sends SIGTERM, and SIGKILL after the given seconds. It returns when the process is gone.
func (r *Runtime) StopContainer(_ context.Context, id string, seconds int64) error {
	r.Lock()
	process := r.processes[id]
	r.Unlock()
	if process == nil {
		return nil
	}
	return process.stop(time.Duration(seconds) * time.Second)
}

func (r *Runtime) StopPodSandbox(ctx context.Context, id string) error {
	containers, err := r.ListContainers(ctx, &api.ContainerFilter{PodSandboxId: id})
	if err != nil {
		return err
	}
	for _, container := range containers {
		if err := r.StopContainer(ctx, container.Id, 0); err != nil {
			return err
		}
	}
	return r.FakeRuntimeService.StopPodSandbox(ctx, id)
}

func (r *Runtime) RemoveContainer(ctx context.Context, id string) error {
	if err := r.StopContainer(ctx, id, 0); err != nil {
		return err
	}
	r.Lock()
	delete(r.configs, id)
	delete(r.processes, id)
	r.Unlock()
	return errors.Join(r.FakeRuntimeService.RemoveContainer(ctx, id), os.RemoveAll(r.folder(id)))
}

// folder is where a container's process id is, and the place for its root.
func (r *Runtime) folder(id string) string {
	return filepath.Join(r.settings.Directory, "containers", id)
}

// ExecSync is for probes and hooks: that they can't be run must not look like success.
func (r *Runtime) ExecSync(context.Context, string, []string, time.Duration) ([]byte, []byte, error) {
	return nil, nil, status.Error(codes.Unimplemented, "this node runs nothing in a container but its program")
}

func (r *Runtime) Exec(context.Context, *api.ExecRequest) (*api.ExecResponse, error) {
	return nil, status.Error(codes.Unimplemented, "this node runs nothing in a container but its program")
}
