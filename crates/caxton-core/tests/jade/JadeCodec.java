// Reads messages in FIPA's string form with JADE's codec and tells what JADE made of them.
//
// Input: messages, each a 4-byte big-endian length and that many bytes. Output for each, framed
// alike: JADE's reading as lines `name=value`, an empty line, and JADE's own writing of it; or a
// line `error=…` where JADE cannot read it. Values are written with \\, \n and \r escaped, so that
// a line stays a line. JADE is used as it is, through its public classes only.

import jade.core.AID;
import jade.lang.acl.ACLMessage;
import jade.lang.acl.StringACLCodec;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.nio.charset.StandardCharsets;
import java.util.Enumeration;
import java.util.Iterator;
import java.util.Map;
import java.util.TreeMap;

public final class JadeCodec {
  public static void main(String[] args) throws Exception {
    DataInputStream in = new DataInputStream(System.in);
    DataOutputStream out = new DataOutputStream(new BufferedOutputStream(System.out));
    // JADE's time reader prints what it reads to standard output, which is the answers' way here.
    System.setOut(System.err);
    while (true) {
      int length;
      try {
        length = in.readInt();
      } catch (EOFException end) {
        break;
      }
      byte[] text = new byte[length];
      in.readFully(text);
      byte[] answer = answer(text).getBytes(StandardCharsets.UTF_8);
      out.writeInt(answer.length);
      out.write(answer);
    }
    out.flush();
  }

  private static String answer(byte[] text) {
    try {
      StringACLCodec codec = new StringACLCodec();
      ACLMessage message = codec.decode(text, "UTF-8");
      StringBuilder lines = new StringBuilder();
      for (Map.Entry<String, String> line : reading(message).entrySet()) {
        lines.append(line.getKey()).append('=').append(escape(line.getValue())).append('\n');
      }
      String written = new String(codec.encode(message, "UTF-8"), StandardCharsets.UTF_8);
      return lines + "\n" + written;
    } catch (Throwable refused) {
      Throwable cause = refused;
      while (cause.getCause() != null) {
        cause = cause.getCause();
      }
      return "error=" + escape(String.valueOf(cause)) + "\n";
    }
  }

  private static Map<String, String> reading(ACLMessage message) {
    Map<String, String> lines = new TreeMap<>();
    put(lines, "performative", ACLMessage.getPerformative(message.getPerformative()));
    if (message.getSender() != null) {
      put(lines, "sender", identifier(message.getSender()));
    }
    agents(lines, "receiver", message.getAllReceiver());
    agents(lines, "reply-to", message.getAllReplyTo());
    if (message.hasByteSequenceContent()) {
      put(lines, "content", new String(message.getByteSequenceContent(), StandardCharsets.ISO_8859_1));
    } else {
      put(lines, "content", message.getContent());
    }
    put(lines, "language", message.getLanguage());
    put(lines, "encoding", message.getEncoding());
    put(lines, "ontology", message.getOntology());
    put(lines, "protocol", message.getProtocol());
    put(lines, "conversation-id", message.getConversationId());
    put(lines, "reply-with", message.getReplyWith());
    put(lines, "in-reply-to", message.getInReplyTo());
    if (message.getReplyByDate() != null) {
      put(lines, "reply-by-ms", Long.toString(message.getReplyByDate().getTime()));
    }
    Enumeration<?> names = message.getAllUserDefinedParameters().propertyNames();
    while (names.hasMoreElements()) {
      String name = (String) names.nextElement();
      put(lines, "user " + name, message.getUserDefinedParameter(name));
    }
    return lines;
  }

  private static void agents(Map<String, String> lines, String field, Iterator<?> agents) {
    for (int index = 0; agents.hasNext(); index++) {
      put(lines, field + " " + index, identifier((AID) agents.next()));
    }
  }

  private static String identifier(AID agent) {
    StringBuilder text = new StringBuilder(agent.getName());
    Iterator<?> addresses = agent.getAllAddresses();
    while (addresses.hasNext()) {
      text.append(" address ").append(addresses.next());
    }
    Iterator<?> resolvers = agent.getAllResolvers();
    while (resolvers.hasNext()) {
      text.append(" resolver [").append(identifier((AID) resolvers.next())).append(']');
    }
    return text.toString();
  }

  private static void put(Map<String, String> lines, String name, String value) {
    if (value != null) {
      lines.put(name, value);
    }
  }

  private static String escape(String value) {
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r");
  }
}
