import java.util.List;
import java.util.Set;
import java.util.function.Supplier;
import org.eclipse.milo.opcua.sdk.core.AccessLevel;
import org.eclipse.milo.opcua.sdk.core.Reference;
import org.eclipse.milo.opcua.sdk.server.OpcUaServer;
import org.eclipse.milo.opcua.sdk.server.api.DataItem;
import org.eclipse.milo.opcua.sdk.server.api.ManagedNamespaceWithLifecycle;
import org.eclipse.milo.opcua.sdk.server.api.MonitoredItem;
import org.eclipse.milo.opcua.sdk.server.api.config.OpcUaServerConfig;
import org.eclipse.milo.opcua.sdk.server.nodes.UaFolderNode;
import org.eclipse.milo.opcua.sdk.server.nodes.UaVariableNode;
import org.eclipse.milo.opcua.sdk.server.util.SubscriptionModel;
import org.eclipse.milo.opcua.stack.core.Identifiers;
import org.eclipse.milo.opcua.stack.core.security.DefaultCertificateManager;
import org.eclipse.milo.opcua.stack.core.security.SecurityPolicy;
import org.eclipse.milo.opcua.stack.core.types.builtin.*;
import org.eclipse.milo.opcua.stack.core.types.builtin.unsigned.Unsigned;
import org.eclipse.milo.opcua.stack.core.types.enumerated.MessageSecurityMode;
import org.eclipse.milo.opcua.stack.server.EndpointConfiguration;

/** An OPC UA server of Eclipse Milo without security. Arguments: port, ticks in ms, items, namespaces before its own. */
public class OpcuaMiloServer extends ManagedNamespaceWithLifecycle {
  private final SubscriptionModel subscriptions;

  OpcuaMiloServer(OpcUaServer server, int tickMs, int items) {
    super(server, "urn:acme:line");
    subscriptions = new SubscriptionModel(server, this);
    getLifecycleManager().addLifecycle(subscriptions);
    getLifecycleManager().addStartupTask(() -> addNodes(tickMs, items));
  }

  private void addNodes(int tickMs, int items) {
    UaFolderNode line = new UaFolderNode(getNodeContext(), newNodeId("Line"), newQualifiedName("Line"), LocalizedText.english("Line"));
    getNodeManager().addNode(line);
    line.addReference(new Reference(line.getNodeId(), Identifiers.Organizes, Identifiers.ObjectsFolder.expanded(), false));
    java.util.ArrayList<UaVariableNode> nodes = new java.util.ArrayList<>();
    for (int number = -1; number < items; number++) {
      String name = number < 0 ? "Tick" : "T" + number;
      UaVariableNode node = new UaVariableNode.UaVariableNodeBuilder(getNodeContext())
          .setNodeId(newNodeId("Line." + name))
          .setAccessLevel(AccessLevel.READ_ONLY)
          .setUserAccessLevel(AccessLevel.READ_ONLY)
          .setBrowseName(newQualifiedName(name))
          .setDisplayName(LocalizedText.english(name))
          .setDataType(Identifiers.UInt32)
          .setTypeDefinition(Identifiers.BaseDataVariableType)
          .build();
      node.setValue(new DataValue(new Variant(Unsigned.uint(0))));
      getNodeManager().addNode(node);
      line.addOrganizes(node);
      nodes.add(node);
    }
    Thread ticking = new Thread(() -> {
      for (int count = 1; ; count++) {
        try { Thread.sleep(tickMs); } catch (InterruptedException e) { return; }
        for (UaVariableNode node : nodes) node.setValue(new DataValue(new Variant(Unsigned.uint(count))));
      }
    });
    ticking.setDaemon(true);
    ticking.start();
  }

  @Override public void onDataItemsCreated(List<DataItem> items) { subscriptions.onDataItemsCreated(items); }
  @Override public void onDataItemsModified(List<DataItem> items) { subscriptions.onDataItemsModified(items); }
  @Override public void onDataItemsDeleted(List<DataItem> items) { subscriptions.onDataItemsDeleted(items); }
  @Override public void onMonitoringModeChanged(List<MonitoredItem> items) { subscriptions.onMonitoringModeChanged(items); }

  public static void main(String[] args) throws Exception {
    int port = Integer.parseInt(args[0]);
    EndpointConfiguration endpoint = EndpointConfiguration.newBuilder()
        .setBindAddress("127.0.0.1").setBindPort(port).setHostname("127.0.0.1").setPath("/line")
        .setSecurityPolicy(SecurityPolicy.None).setSecurityMode(MessageSecurityMode.None)
        .addTokenPolicies(OpcUaServerConfig.USER_TOKEN_POLICY_ANONYMOUS)
        .build();
    OpcUaServer server = new OpcUaServer(OpcUaServerConfig.builder()
        .setApplicationName(LocalizedText.english("line"))
        .setApplicationUri("urn:acme:server")
        .setProductUri("urn:acme:server")
        .setCertificateManager(new DefaultCertificateManager())
        .setEndpoints(Set.of(endpoint))
        .build());
    for (int number = 0; number < Integer.parseInt(args[3]); number++) server.getNamespaceTable().addUri("urn:acme:before-" + number);
    new OpcuaMiloServer(server, Integer.parseInt(args[1]), Integer.parseInt(args[2])).startup();
    server.startup().get();
    System.out.println("ready");
    while (System.in.read() >= 0) { }
    System.exit(0);
  }
}
