package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// containerLog is a log file in the format that the kubelet serves: a time, the stream's name, F for a full
// line or P for a part of one, and the text.
type containerLog struct {
	mutex   sync.Mutex
	file    *os.File
	streams []*logStream
}

func openLog(path string) (*containerLog, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	return &containerLog{file: file}, err
}

func (l *containerLog) stream(name string) io.Writer {
	stream := &logStream{log: l, name: name}
	l.streams = append(l.streams, stream)
	return stream
}

// Close writes the lines that have begun. The streams must have ended.
func (l *containerLog) Close() error {
	for _, stream := range l.streams {
		if len(stream.begun) > 0 {
			stream.write("P", stream.begun)
		}
	}
	return l.file.Close()
}

type logStream struct {
	log   *containerLog
	name  string
	begun []byte
}

func (s *logStream) Write(text []byte) (int, error) {
	lines := bytes.Split(append(s.begun, text...), []byte("\n"))
	last := len(lines) - 1
	for _, line := range lines[:last] {
		s.write("F", line)
	}
	s.begun = bytes.Clone(lines[last])
	return len(text), nil
}

func (s *logStream) write(tag string, line []byte) {
	s.log.mutex.Lock()
	defer s.log.mutex.Unlock()
	fmt.Fprintf(s.log.file, "%s %s %s %s\n", time.Now().UTC().Format(time.RFC3339Nano), s.name, tag, line)
}
