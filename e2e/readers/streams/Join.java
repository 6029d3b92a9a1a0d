import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.KTable;

/**
 * Joins the topics of two tables, orders and customers, as a service of their readers does: each topic is a table, an order finds
 * its customer by a foreign key, and the result is a topic of orders with the names of their customers.
 *
 * <p>Usage: Join BROKERS ORDERS CUSTOMERS RESULT. It runs until it is stopped.
 */
public final class Join {
  private static final ObjectMapper JSON = new ObjectMapper();

  private Join() {}

  public static void main(String[] args) throws Exception {
    Properties p = new Properties();
    p.put(StreamsConfig.APPLICATION_ID_CONFIG, "join-" + args[3]);
    p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    p.put(StreamsConfig.STATE_DIR_CONFIG, Files.createTempDirectory("join").toString());
    p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    // With a cache, a customer who comes and goes between two commits may be joined and never taken back.
    p.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
    p.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
    p.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);

    StreamsBuilder builder = new StreamsBuilder();
    KTable<String, String> customers = table(builder, args[2]);
    table(builder, args[1]).leftJoin(customers, Join::customerOf, Join::join).toStream().to(args[3]);

    KafkaStreams streams = new KafkaStreams(builder.build(), p);
    CountDownLatch stopped = new CountDownLatch(1);
    streams.setUncaughtExceptionHandler(
        problem -> {
          problem.printStackTrace();
          stopped.countDown();
          return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
    Path state = Path.of(p.getProperty(StreamsConfig.STATE_DIR_CONFIG));
    Runtime.getRuntime().addShutdownHook(new Thread(() -> close(streams, state)));
    streams.start();
    stopped.await();
    System.exit(1);
  }

  private static void close(KafkaStreams streams, Path state) {
    streams.close();
    try (var files = Files.walk(state)) {
      files.sorted(java.util.Comparator.reverseOrder()).forEach(file -> file.toFile().delete());
    } catch (java.io.IOException e) {
      System.err.println("remove " + state + ": " + e);
    }
  }

  /** The table of a topic: a delete is null, as is the tombstone that follows it. */
  private static KTable<String, String> table(StreamsBuilder builder, String topic) {
    return builder.<String, String>stream(topic).mapValues(Join::after).toTable();
  }

  private static String after(String envelope) {
    if (envelope == null) {
      return null;
    }
    JsonNode after = parse(envelope).get("after");
    return after == null || after.isNull() ? null : after.toString();
  }

  /** The key that a customer's messages have. */
  private static String customerOf(String order) {
    return JSON.createObjectNode().set("id", parse(order).get("customer")).toString();
  }

  private static String join(String order, String customer) {
    ObjectNode row = (ObjectNode) parse(order);
    return row.set("name", customer == null ? null : parse(customer).get("name")).toString();
  }

  private static JsonNode parse(String text) {
    try {
      return JSON.readTree(text);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(text, e);
    }
  }
}
