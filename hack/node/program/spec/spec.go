// Package spec is what the node tells the first process of a container.
package spec

// Container is everything that the process needs to become the container's program.
type Container struct {
	// Root is an empty folder on which the container's root is put together.
	Root string
	// Mounts are the pod's volumes and the kubelet's own files.
	Mounts []Mount
	// Keep are folders of the machine that hold the image's program: no volume hides them.
	Keep         []string
	ReadOnlyRoot bool
	WorkingDir   string
	Command      []string
	Environment  []string
}

// Mount shows Source, a file or folder of the machine, at Target in the container.
type Mount struct {
	Source   string
	Target   string
	ReadOnly bool
}
