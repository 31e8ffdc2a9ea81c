// Command events writes docs/events.md from the comments of the contract: buf build proto -o - | events > docs/events.md
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

func main() {
	log.SetFlags(0)
	image, err := io.ReadAll(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	out := bufio.NewWriter(os.Stdout)
	if err := write(out, image); err != nil {
		log.Fatal(err)
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}

// write prints every context's events with their fields. An image is a FileDescriptorSet with source comments.
func write(w io.Writer, image []byte) error {
	set := new(descriptorpb.FileDescriptorSet)
	if err := proto.Unmarshal(image, set); err != nil {
		return fmt.Errorf("events: image: %w", err)
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return fmt.Errorf("events: image: %w", err)
	}
	fmt.Fprint(w, "# Events\n\nGenerated from the comments in `proto/obole/*/v1/events.proto`; change it there.\n\n"+
		"Sealed fields carry their retention class: they are encrypted with a key of the person and class, and erased by destroying that key.\n")
	for _, context := range []string{"offers", "consent", "delivery", "settlement"} {
		d, err := files.FindDescriptorByName(protoreflect.FullName("obole." + context + ".v1.Event"))
		if err != nil {
			return fmt.Errorf("events: %w", err)
		}
		event := d.(protoreflect.MessageDescriptor)
		fmt.Fprintf(w, "\n## %s\n\n%s\n", context, comment(event.ParentFile().SourceLocations().ByPath(protoreflect.SourcePath{2})))
		arms := event.Oneofs().ByName("event").Fields()
		for i := range arms.Len() {
			arm(w, arms.Get(i))
		}
	}
	return nil
}

func arm(w io.Writer, arm protoreflect.FieldDescriptor) {
	m := arm.Message()
	fmt.Fprintf(w, "\n### %s\n\n%s %s\n\n", m.Name(), described(m), described(arm))
	fmt.Fprint(w, "| field | type | sealed | meaning |\n|---|---|---|---|\n")
	fields := m.Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		fmt.Fprintf(w, "| `%s` | %s | %s | %s |\n", f.Name(), typeName(f), sealed(f), described(f))
	}
}

func typeName(f protoreflect.FieldDescriptor) string {
	name := f.Kind().String()
	switch {
	case f.Message() != nil:
		name = string(f.Message().Name())
	case f.Enum() != nil:
		name = string(f.Enum().Name())
	}
	if f.IsList() {
		return "list of " + name
	}
	return name
}

func sealed(f protoreflect.FieldDescriptor) string {
	options, _ := f.Options().(*descriptorpb.FieldOptions)
	// The image's options hold the extension as it was built; reading them again resolves it to the generated type.
	raw, err := proto.Marshal(options)
	if err != nil {
		return ""
	}
	read := new(descriptorpb.FieldOptions)
	if err := proto.Unmarshal(raw, read); err != nil {
		return ""
	}
	class, _ := proto.GetExtension(read, eventv1.E_Personal).(eventv1.Retention)
	if class == eventv1.Retention_RETENTION_UNSPECIFIED {
		return ""
	}
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(class.String(), "RETENTION_"), "_", " "))
}

func described(d protoreflect.Descriptor) string {
	return comment(d.ParentFile().SourceLocations().ByDescriptor(d))
}

func comment(l protoreflect.SourceLocation) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(l.LeadingComments, "|", "\\|")), " ")
}
