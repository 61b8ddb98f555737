package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"reflect"
	"time"
	"unsafe"

	"go.opentelemetry.io/otel/trace/noop"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/cert"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	"k8s.io/kubernetes/pkg/kubelet"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	"k8s.io/kubernetes/pkg/kubelet/cm"
	"k8s.io/kubernetes/pkg/kubelet/pleg"
	"k8s.io/kubernetes/pkg/kubelet/util"
	"k8s.io/kubernetes/pkg/util/oom"
	"k8s.io/kubernetes/pkg/volume"
	"k8s.io/kubernetes/pkg/volume/configmap"
	"k8s.io/kubernetes/pkg/volume/downwardapi"
	"k8s.io/kubernetes/pkg/volume/emptydir"
	"k8s.io/kubernetes/pkg/volume/projected"
	"k8s.io/kubernetes/pkg/volume/secret"
	"k8s.io/kubernetes/pkg/volume/util/hostutil"
	"k8s.io/kubernetes/pkg/volume/util/subpath"
	"k8s.io/mount-utils"
)

const (
	address = "127.0.0.1"
	// A changed Secret or ConfigMap reaches a volume when its pod is synchronized after the cache has dropped
	// the old content (annotation node.alpha.kubernetes.io/ttl of the Node).
	syncFrequency = time.Second
)

// runKubelet runs the kubelet for good; it returns only if it can't be started.
func runKubelet(ctx context.Context, settings Settings, client kubernetes.Interface) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	config, err := configuration(settings, port)
	if err != nil {
		return err
	}
	certificate, err := servingCertificate()
	if err != nil {
		return err
	}
	dependencies := &kubelet.Dependencies{
		KubeClient:                client,
		HeartbeatClient:           client,
		CAdvisorInterface:         &machine{},
		ContainerManager:          cm.NewStubContainerManager(),
		HostUtil:                  hostutil.NewFakeHostUtil(nil),
		Mounter:                   mount.NewFakeMounter(nil),
		NodeStartupLatencyTracker: util.NewNodeStartupLatencyTracker(),
		OOMAdjuster:               oom.NewFakeOOMAdjuster(),
		OSInterface:               files{},
		PodStartupLatencyTracker:  util.NewPodStartupLatencyTracker(),
		Recorder:                  recorder(),
		RemoteImageService:        NewImages(settings),
		RemoteRuntimeService:      NewRuntime(settings),
		Subpather:                 &subpath.FakeSubpath{},
		TLSConfig:                 &tls.Config{Certificates: []tls.Certificate{certificate}},
		TracerProvider:            noop.NewTracerProvider(),
		VolumePlugins:             volumePlugins(),
	}
	kubelet.ContainerLogsDir = config.PodLogsDir
	flags := options.NewKubeletFlags()
	k, err := kubelet.NewMainKubelet(
		ctx,
		config,
		dependencies,
		&flags.ContainerRuntimeOptions,
		address, // an address as the hostname becomes the Node's
		types.NodeName(settings.Name),
		nil,
		"",
		"",
		filepath.Join(settings.Directory, "pki"),
		settings.Directory,
		config.PodLogsDir,
		"",
		"",
		true,
		nil,
		nil,
		"",
		false,
		false,
		metav1.Duration{},
		flags.MaxPerPodContainerCount,
		flags.MaxContainerCount,
		settings.Labels,
		config.NodeStatusMaxImages,
		false,
	)
	if err != nil {
		return fmt.Errorf("the kubelet: %w", err)
	}
	relistOften(k)
	k.StartGarbageCollection(ctx)
	go k.ListenAndServe(ctx, config, dependencies.TLSConfig, nil, dependencies.TracerProvider)
	k.Run(ctx, dependencies.PodConfig.Updates())
	return nil
}

// relistOften has the kubelet ask for the state of its containers ten times a second, not once: else the end of
// each pod takes two seconds. There is no setting for it.
func relistOften(k *kubelet.Kubelet) {
	field := reflect.ValueOf(k).Elem().FieldByName("pleg")
	generator := reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Interface()
	generator.(*pleg.GenericPLEG).Update(&pleg.RelistDuration{
		RelistPeriod:    100 * time.Millisecond,
		RelistThreshold: 3 * time.Minute,
	})
}

// configuration is the kubelet's default one without what concerns the machine.
func configuration(settings Settings, port int32) (*kubeletconfig.KubeletConfiguration, error) {
	config, err := options.NewKubeletConfiguration()
	if err != nil {
		return nil, err
	}
	config.Address = address
	config.Port = port
	config.ReadOnlyPort = 0
	config.PodLogsDir = filepath.Join(settings.Directory, "logs")
	config.CgroupsPerQOS = false
	config.ConfigMapAndSecretChangeDetectionStrategy = kubeletconfig.TTLCacheChangeDetectionStrategy
	config.ContainerLogMaxSize = "1Ti" // no log is moved away while its container writes to it
	config.EnableControllerAttachDetach = false
	config.EnforceNodeAllocatable = nil
	config.EvictionHard = nil
	config.ImageGCHighThresholdPercent = 100
	config.ImagePullCredentialsVerificationPolicy = string(kubeletconfig.NeverVerify)
	config.LocalStorageCapacityIsolation = false
	config.MakeIPTablesUtilChains = false
	config.ResolverConfig = ""
	config.SyncFrequency.Duration = syncFrequency
	config.VolumeStatsAggPeriod.Duration = -1
	return config, nil
}

func volumePlugins() []volume.VolumePlugin {
	var plugins []volume.VolumePlugin
	for _, probe := range []func() []volume.VolumePlugin{
		configmap.ProbeVolumePlugins,
		downwardapi.ProbeVolumePlugins,
		emptydir.ProbeVolumePlugins,
		projected.ProbeVolumePlugins,
		secret.ProbeVolumePlugins,
	} {
		plugins = append(plugins, probe()...)
	}
	return plugins
}

// recorder writes the kubelet's Events to the log. With any other one, the kubelet watches for processes
// that the kernel has killed for want of memory, which needs /dev/kmsg.
func recorder() record.EventRecorderLogger {
	events := record.NewFakeRecorder(100)
	go func() {
		for event := range events.Events {
			klog.InfoS("Event", "event", event)
		}
	}()
	return events
}

// servingCertificate is what the API server sees; it checks it as little as in a cluster made by kubeadm.
func servingCertificate() (tls.Certificate, error) {
	pem, key, err := cert.GenerateSelfSignedCertKey(address, nil, nil)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(pem, key)
}

// freePort is a port that nothing listens at. It is below those that the kernel gives out (ip(7),
// ip_local_port_range): the kubelet binds it by itself and later, and a connection must not have it by then.
func freePort() (int32, error) {
	const first, number, tries = 20000, 12000, 20
	var failures error
	for range tries {
		port := first + rand.Int32N(number)
		listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", address, port))
		if err == nil {
			return port, listener.Close()
		}
		failures = errors.Join(failures, err)
	}
	return 0, failures
}
