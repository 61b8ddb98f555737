package main

import (
	"encoding/json"
	"os"
	"path"
	"slices"
)

// Settings are what the person or test that starts the node says of it.
type Settings struct {
	// Name of the Node object.
	Name       string
	Labels     map[string]string
	Kubeconfig string
	// Directory holds all that the node writes: volumes, logs, records of containers.
	Directory string
	// ContainerInit is the program that a container begins with.
	ContainerInit string
	Images        []Image
}

// Image is a program of this machine that stands for an image.
type Image struct {
	// Name is a pattern (path.Match) for the image's name and tag.
	Name       string
	Entrypoint []string
	// Env are the image's variables, each NAME=value.
	Env        []string
	WorkingDir string
	// Folders hold the program: they are seen even below a volume that is mounted over them.
	Folders []string
}

func readSettings(file string) (Settings, error) {
	var settings Settings
	text, err := os.ReadFile(file)
	if err != nil {
		return settings, err
	}
	return settings, json.Unmarshal(text, &settings)
}

// image looks an image up by the name that a pod uses.
func (s Settings) image(name string) (Image, bool) {
	index := slices.IndexFunc(s.Images, func(image Image) bool {
		matches, err := path.Match(image.Name, name)
		return matches && err == nil
	})
	if index < 0 {
		return Image{}, false
	}
	return s.Images[index], true
}
