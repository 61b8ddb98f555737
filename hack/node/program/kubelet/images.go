package main

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	critest "k8s.io/cri-api/pkg/apis/testing"
)

// nonRoot is the user that the kubelet takes an image's programs to run as.
const nonRoot = 65532

// images are those that the settings name.
type images struct {
	cri.ImageManagerService
	settings Settings
}

// NewImages makes the store of images of a node.
func NewImages(settings Settings) cri.ImageManagerService {
	return images{critest.NewFakeImageService(), settings}
}

func (i images) ImageStatus(_ context.Context, spec *api.ImageSpec, _ bool) (*api.ImageStatusResponse, error) {
	if _, found := i.settings.image(spec.Image); !found {
		return &api.ImageStatusResponse{}, nil
	}
	image := &api.Image{Id: spec.Image, RepoTags: []string{spec.Image}, Uid: &api.Int64Value{Value: nonRoot}, Spec: spec}
	return &api.ImageStatusResponse{Image: image}, nil
}

func (i images) PullImage(_ context.Context, spec *api.ImageSpec, _ *api.AuthConfig, _ *api.PodSandboxConfig) (string, error) {
	if _, found := i.settings.image(spec.Image); !found {
		return "", status.Errorf(codes.NotFound, "this node has no image %s", spec.Image)
	}
	return spec.Image, nil
}
