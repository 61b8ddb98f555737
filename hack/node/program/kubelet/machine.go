package main

import (
	"os"
	"strings"

	cadvisor "github.com/google/cadvisor/info/v1"
	cadvisortest "k8s.io/kubernetes/pkg/kubelet/cadvisor/testing"
	kubecontainer "k8s.io/kubernetes/pkg/kubelet/container"
)

// machine is larger than any request: requests decide nothing here.
type machine struct{ cadvisortest.Fake }

func (*machine) MachineInfo() (*cadvisor.MachineInfo, error) {
	return &cadvisor.MachineInfo{NumCores: 256, MemoryCapacity: 1 << 40}, nil
}

// files are the machine's, without the folder in which the kubelet links the logs of all containers: it may be
// a real kubelet's.
type files struct{ kubecontainer.RealOS }

const allLogs = "/var/log/containers/"

func (f files) Symlink(original, link string) error {
	if strings.HasPrefix(link, allLogs) {
		return nil
	}
	return os.Symlink(original, link)
}

func (f files) Glob(pattern string) ([]string, error) {
	if strings.HasPrefix(pattern, allLogs) {
		return nil, nil
	}
	return f.RealOS.Glob(pattern)
}
