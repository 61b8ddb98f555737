// A kubelet without a machine: Kubernetes' own kubelet, whose containers are processes of this machine. What
// it needs of a real node (cgroups, mounts, OOM events) is replaced as in Kubernetes' kubemark.
package main

import (
	"context"
	"flag"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/component-base/logs"
	"k8s.io/klog/v2"
)

func main() {
	file := flag.String("config", "", "the file with the settings, JSON")
	flag.Parse()
	logs.InitLogs()
	defer logs.FlushLogs()
	if err := run(context.Background(), *file); err != nil {
		klog.ErrorS(err, "The node can't run")
		klog.FlushAndExit(klog.ExitFlushTimeout, 1)
	}
}

func run(ctx context.Context, file string) error {
	settings, err := readSettings(file)
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", settings.Kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1 // no limit: the API server is ours
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	return runKubelet(ctx, settings, client)
}
