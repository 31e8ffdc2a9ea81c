package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/obole-market/obole/pkg/embedded/internal/child"
)

// cluster is the id of every cluster of ours: 16 bytes in base64, which is what Kafka asks for.
const cluster = "b2JvbGUtdGVzdC1rYWZrYQ"

// jars run the broker in a JVM of this machine.
type jars struct{ java, libs, heap string }

func (jars) data(dir string) string { return filepath.Join(dir, "data") }

func (j jars) format(ctx context.Context, dir string) error {
	if _, err := os.Stat(filepath.Join(j.data(dir), "meta.properties")); err == nil {
		return nil
	}
	return child.Run(ctx, child.Options{Path: j.java, Dir: dir, Log: filepath.Join(dir, "format.log"), Args: []string{
		"-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=WARN", "-cp", filepath.Join(j.libs, "*"),
		"kafka.tools.StorageTool", "format", "-t", cluster, "-c", "server.properties",
	}})
}

// start stops the compiler at its first level: a broker of tests lives for seconds, and optimising it took more of the processors
// than it did itself.
func (j jars) start(dir string) (*child.Process, error) {
	return child.Start(child.Options{Path: j.java, Dir: dir, Log: filepath.Join(dir, "kafka.log"), Args: []string{
		"-Xmx" + j.heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=WARN", "-cp", filepath.Join(j.libs, "*"),
		"kafka.Kafka", "server.properties",
	}})
}

func (jars) kill(p *child.Process) { p.Kill() }

// image runs the broker in a container that shares this machine's network, so that addresses mean the same in it.
type image struct{ docker, heap, name string }

func (*image) data(string) string { return "/data/data" }

// format does nothing: the start formats what is not.
func (*image) format(context.Context, string) error { return nil }

func (i *image) start(dir string) (*child.Process, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	i.name = "obole-kafka-" + strconv.Itoa(os.Getpid()) + "-" + filepath.Base(dir)
	script := fmt.Sprintf("cd /opt/kafka && bin/kafka-storage.sh format --ignore-formatted -t %s -c /data/server.properties "+
		"&& exec bin/kafka-server-start.sh /data/server.properties", cluster)
	return child.Start(child.Options{
		Path: i.docker, Dir: dir, Log: filepath.Join(dir, "kafka.log"),
		Args: []string{
			"run", "--rm", "--name", i.name, "--network", "host", "--user", strconv.Itoa(os.Getuid()),
			"-v", dir + ":/data", "-e", "LOG_DIR=/tmp", "-e", "KAFKA_HEAP_OPTS=-Xmx" + i.heap,
			"--entrypoint", "/bin/sh", "apache/kafka:" + Version, "-c", script,
		},
	})
}

func (i *image) kill(p *child.Process) {
	// Killing the client would leave the container; killing the container ends the client.
	if err := exec.Command(i.docker, "kill", i.name).Run(); err != nil && !errors.Is(err, os.ErrNotExist) {
		p.Kill()
	}
	<-p.Done()
}
