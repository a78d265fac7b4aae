<?xml version="1.0" encoding="UTF-8"?>
<!--
  Tells balancers how many listeners this Icecast server still takes: the number in each <mount>.
  Put it into the web root (Debian: /usr/share/icecast2/web/) and look at http://HOST:8000/load.xsl.

  Icecast does not tell its pages the limit of the whole server: set `clients` below to <clients> of
  icecast.xml. Whoever reaches this port can read the page; <allow-ip> or a firewall keep it private.
-->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:output method="xml" media-type="text/xml" encoding="UTF-8" indent="yes"/>

  <xsl:variable name="clients" select="100"/>

  <xsl:template match="/icestats">
    <xsl:variable name="listeners" select="sum(source/listeners)"/>
    <xsl:variable name="room" select="$clients - $listeners"/>
    <load listeners="{$listeners}" max_listeners="{$clients}">
      <xsl:for-each select="source">
        <!-- `unlimited` is no number, and so not less than the room of the server. -->
        <xsl:variable name="slots" select="number(max_listeners) - number(listeners)"/>
        <mount name="{@mount}" listeners="{number(listeners)}" max_listeners="{max_listeners}">
          <xsl:choose>
            <xsl:when test="$room &lt;= 0 or $slots &lt;= 0">0</xsl:when>
            <xsl:when test="$slots &lt; $room"><xsl:value-of select="$slots"/></xsl:when>
            <xsl:otherwise><xsl:value-of select="$room"/></xsl:otherwise>
          </xsl:choose>
        </mount>
      </xsl:for-each>
    </load>
  </xsl:template>
</xsl:stylesheet>
